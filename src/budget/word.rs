//! The word of a [`Meter`](super::Meter): how its fields are packed.
//!
//! | bits | field |
//! |---|---|
//! | 2 | status: open, expired, closed |
//! | as many as the budget has | calls made |
//! | as many as the smaller of budget and rate limit has | calls in the window |
//! | the rest, 64 at most | start of the window, in ticks since the meter was made |
//!
//! Status and counts have the lower half to themselves where they fit, as with all but huge limits: to take them apart costs
//! half as much. The start has the upper half then.
//!
//! A tick is a nanosecond unless fewer than 64 bits are left; starts are then rounded up.

use super::{Limits, Status};
use crate::error::ConfigError;

/// Bits of the status.
const STATUS_BITS: u32 = 2;
/// At least this many bits are left to the window's start, which makes a tick 2^31 ns at most.
const MIN_START_BITS: u32 = 34;

/// Where the fields are in the word.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    call_bits: u8,
    window_bits: u8,
    /// Nanoseconds in a tick, as a power of two.
    tick: u8,
}

/// The word, unpacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct State {
    pub(super) status: Status,
    pub(super) calls: u64,
    pub(super) window_calls: u64,
    /// In ticks since the meter was made.
    pub(super) start: u64,
}

fn bits(value: u64) -> u32 {
    u64::BITS - value.leading_zeros()
}

fn low(word: u128, bits: u8) -> u64 {
    let above = u64::MAX.checked_shl(bits.into()).unwrap_or(0);
    word as u64 & !above
}

impl Layout {
    pub(super) fn new(limits: &Limits) -> Result<Self, ConfigError> {
        let call_bits = bits(limits.budget);
        let Some(rate) = limits.rate else {
            return Ok(Self { call_bits: call_bits as u8, window_bits: 0, tick: 0 });
        };
        if rate.window.is_zero() {
            return Err(ConfigError::Zero { what: "rate window" });
        }
        let max = u128::from(u64::MAX);
        if rate.window.as_nanos() > max {
            return Err(ConfigError::TooLarge { what: "rate window in ns", given: rate.window.as_nanos(), max });
        }
        let window_bits = bits(rate.calls.min(limits.budget));
        let most = u128::BITS - STATUS_BITS - MIN_START_BITS - call_bits;
        if window_bits > most {
            let max = (1_u128 << most) - 1;
            return Err(ConfigError::TooLarge { what: "rate limit for this budget", given: rate.calls.into(), max });
        }
        let start_bits = (u128::BITS - STATUS_BITS - call_bits - window_bits).min(u64::BITS);
        // Rounding up can take one bit more than there are in a timestamp.
        let tick = if start_bits == u64::BITS { 0 } else { u64::BITS + 1 - start_bits };
        Ok(Self { call_bits: call_bits as u8, window_bits: window_bits as u8, tick: tick as u8 })
    }

    #[inline]
    pub(super) fn unpack(self, word: u128) -> State {
        let status = match word & 0b11 {
            0 => Status::Open,
            1 => Status::Expired,
            _ => Status::Closed,
        };
        if self.is_narrow() {
            let counts = word as u64 >> STATUS_BITS;
            let calls = counts & ((1 << self.call_bits) - 1);
            return State { status, calls, window_calls: counts >> self.call_bits, start: (word >> u64::BITS) as u64 };
        }
        let word = word >> STATUS_BITS;
        let calls = low(word, self.call_bits);
        let word = word >> self.call_bits;
        State { status, calls, window_calls: low(word, self.window_bits), start: (word >> self.window_bits) as u64 }
    }

    #[inline]
    pub(super) fn pack(self, state: State) -> u128 {
        if self.is_narrow() {
            let counts = state.window_calls << self.call_bits | state.calls;
            return u128::from(state.start) << u64::BITS | u128::from(counts << STATUS_BITS | state.status as u64);
        }
        let mut word = u128::from(state.start);
        word = word << self.window_bits | u128::from(state.window_calls);
        word = word << self.call_bits | u128::from(state.calls);
        word << STATUS_BITS | state.status as u128
    }

    /// Whether status and counts have the lower half of the word to themselves, as with all but huge limits.
    fn is_narrow(self) -> bool {
        u32::from(self.call_bits) + u32::from(self.window_bits) + STATUS_BITS <= u64::BITS
    }

    /// Nanoseconds as ticks, rounded up.
    #[inline]
    pub(super) fn ticks(self, nanos: u64) -> u64 {
        let whole = nanos >> self.tick;
        // The layout leaves a bit for this.
        if whole << self.tick == nanos { whole } else { whole + 1 }
    }

    /// Ticks as nanoseconds, if they are less than 2^64.
    #[inline]
    pub(super) fn nanos(self, ticks: u64) -> Option<u64> {
        ticks.checked_mul(1 << self.tick)
    }
}
