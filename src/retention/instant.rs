//! Instants as other systems write them.

#![forbid(unsafe_code)]

use crate::clock::Timestamp;

const MINUTE: i64 = 60;
const HOUR: i64 = 3_600;
const DAY: i64 = 86_400;
/// Days from the first of March of the year 0 to the Unix epoch.
const EPOCH: i64 = 719_468;

/// The instant that an ISO 8601 or RFC 3339 text names: a date, or a date and a time of day, with an offset from UTC or
/// `Z`; without one it is read as UTC. Digits after the ninth of a second are dropped. Of fractions there are those of a
/// second, none of a minute or an hour.
///
/// None if it is anything else, no such instant, or outside of what a [`Timestamp`] can name (1970 to 2554).
///
/// # Examples
///
/// ```
/// use tollgate::clock::Timestamp;
/// use tollgate::retention::parse_instant;
///
/// let noon = Timestamp::from_secs(1_772_366_400);
/// for text in ["2026-03-01T12:00:00Z", "2026-03-01 14:00:00.000+02:00", "2026-03-01T12:00"] {
///     assert_eq!(parse_instant(text), Some(noon));
/// }
/// assert_eq!(parse_instant("2026-02-29"), None);
/// ```
#[must_use]
pub fn parse_instant(text: &str) -> Option<Timestamp> {
    let mut rest = Rest(text.as_bytes());
    let (year, month, day) = (rest.number(4)?, rest.after(b"-")?.number(2)?, rest.after(b"-")?.number(2)?);
    let mut seconds = days(year, month, day)? * DAY;
    let mut nanos = 0;
    if !rest.0.is_empty() {
        let (hour, minute) = (rest.after(b"Tt ")?.number(2)?, rest.after(b":")?.number(2)?);
        let mut second = 0;
        if rest.skip(b":") {
            second = rest.number(2)?;
            if rest.skip(b".,") {
                nanos = rest.fraction()?;
            }
        }
        if hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        seconds += hour * HOUR + minute * MINUTE + second;
        seconds -= rest.offset()?;
    }
    let nanos = u64::try_from(seconds).ok()?.checked_mul(1_000_000_000)?.checked_add(nanos)?;
    rest.0.is_empty().then_some(Timestamp::from_nanos(nanos))
}

/// What is still to be read.
struct Rest<'t>(&'t [u8]);

impl Rest<'_> {
    /// Whether the next byte is one of these; then it is read.
    fn skip(&mut self, any: &[u8]) -> bool {
        let found = self.0.first().is_some_and(|byte| any.contains(byte));
        if found {
            self.0 = &self.0[1..];
        }
        found
    }

    fn after(&mut self, any: &[u8]) -> Option<&mut Self> {
        self.skip(any).then_some(self)
    }

    /// A number of exactly so many digits.
    fn number(&mut self, digits: usize) -> Option<i64> {
        let (number, rest) = self.0.split_at_checked(digits)?;
        self.0 = rest;
        number.iter().try_fold(0, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + i64::from(byte - b'0')))
    }

    /// Nanoseconds, from one digit or more.
    fn fraction(&mut self) -> Option<u64> {
        let digits = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (fraction, rest) = self.0.split_at(digits);
        self.0 = rest;
        let nanos = (0..9).fold(0, |sum, at| sum * 10 + fraction.get(at).map_or(0, |byte| u64::from(byte - b'0')));
        (digits > 0).then_some(nanos)
    }

    /// Seconds east of UTC: `Z`, `+hh:mm`, `+hhmm`, `+hh`, or nothing.
    fn offset(&mut self) -> Option<i64> {
        if self.0.is_empty() || self.skip(b"Zz") {
            return Some(0);
        }
        let west = self.0.first() == Some(&b'-');
        let hours = self.after(b"+-")?.number(2)?;
        let minutes = if self.skip(b":") || !self.0.is_empty() { self.number(2)? } else { 0 };
        let seconds = hours * HOUR + minutes * MINUTE;
        let is_real = hours < 24 && minutes < 60;
        is_real.then_some(if west { -seconds } else { seconds })
    }
}

/// Days from the Unix epoch to a date of the Gregorian calendar. None if there is no such date.
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    let leaps = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        4 | 6 | 9 | 11 => 30,
        2 if leaps => 29,
        2 => 28,
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        _ => return None,
    };
    if !(1..=length).contains(&day) {
        return None;
    }
    // Years begin with March, so that a leap day is the last of its year. January and February are the months 10 and 11
    // of the year before.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    // From March on, five months have 153 days, and so have the next five.
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    Some(365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year - EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nanos(text: &str) -> Option<u64> {
        parse_instant(text).map(Timestamp::as_nanos)
    }

    #[test]
    fn every_day_follows_the_one_before() {
        let mut expected = 0;
        for year in 1970..2555 {
            for month in 1..=12 {
                for day in (1..=31).filter(|&day| days(year, month, day).is_some()) {
                    assert_eq!(days(year, month, day), Some(expected), "{year}-{month}-{day}");
                    expected += 1;
                }
            }
        }
        // 585 years, 142 of them leap years.
        assert_eq!(expected, 585 * 365 + 142);
    }

    #[test]
    fn offsets_and_fractions_are_exact() {
        let second = 1_000_000_000;
        assert_eq!(nanos("1970-01-01T00:00:01Z"), Some(second));
        assert_eq!(nanos("1970-01-01t00:00:01.5z"), Some(second + second / 2));
        assert_eq!(nanos("1970-01-01 00:00:00,000000001"), Some(1));
        assert_eq!(nanos("1970-01-01T00:00:00.1234567899"), Some(123_456_789));
        assert_eq!(nanos("1970-01-01T01:30:00+01:30"), Some(0));
        assert_eq!(nanos("1970-01-01T01:30:00+0130"), Some(0));
        assert_eq!(nanos("1969-12-31T23:00:00-01"), Some(0));
        assert_eq!(nanos("1970-01-01T02:00-00:30"), Some(9_000 * second));
        assert_eq!(nanos("1970-01-01T23:59:59Z"), Some(86_399 * second));
        assert_eq!(nanos("1970-01-02"), Some(86_400 * second));
        assert_eq!(nanos("2000-02-29T00:00:00Z"), Some(951_782_400 * second));
        assert_eq!(nanos("2554-07-21T23:34:33.709551615Z"), Some(u64::MAX));
    }

    #[test]
    fn what_is_no_instant_is_refused() {
        for text in [
            "",
            "now",
            "2026",
            "2026-3-01",
            "2026-03-00",
            "2026-13-01",
            "2026-04-31",
            "2025-02-29",
            "1900-02-29T00:00:00Z",
            "2026-03-01T",
            "2026-03-01T24:00:00Z",
            "2026-03-01T12:60:00Z",
            "2026-03-01T12:00:60Z",
            "2026-03-01T12:00:00.Z",
            "2026-03-01T12:00.5Z",
            "2026-03-01T12:00:00+24:00",
            "2026-03-01T12:00:00+01:60",
            "2026-03-01T12:00:00+1:00",
            "2026-03-01T12:00:00+01:0",
            "2026-03-01T12:00:00ZZ",
            "2026-03-01T12:00:00Z ",
            "2026-03-01Z",
            "+026-03-01",
            "1969-12-31T23:59:59.999Z",
            "2554-07-21T23:34:33.709551616Z",
            "２026-03-01",
        ] {
            assert_eq!(parse_instant(text), None, "{text}");
        }
    }
}
