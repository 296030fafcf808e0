//! Inputs become cases here.

use arbitrary::{Arbitrary, Result, Unstructured};
use proptest::test_runner::TestCaseResult;
use std::fmt::Debug;

/// Items of a sequence, at most: models look at everything after each operation.
const MOST: usize = 200;

/// Decodes an input and judges the case. With `PRINT_CASE` in the environment the case is printed first.
pub(crate) fn check<C: Debug>(
    data: &[u8],
    decode: impl FnOnce(&mut Unstructured<'_>) -> Result<C>,
    judge: impl FnOnce(C) -> TestCaseResult,
) {
    let Ok(case) = decode(&mut Unstructured::new(data)) else { return };
    if std::env::var_os("PRINT_CASE").is_some() {
        eprintln!("{case:?}");
    }
    if let Err(error) = judge(case) {
        panic!("{error}");
    }
}

/// As many items as the rest of the input makes.
pub(crate) fn sequence<T>(
    input: &mut Unstructured<'_>,
    item: impl Fn(&mut Unstructured<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    let mut items = Vec::new();
    while !input.is_empty() && items.len() < MOST {
        items.push(item(input)?);
    }
    Ok(items)
}

/// A number of any magnitude, as many bytes long as its first byte says, or one of the last three.
pub(crate) fn number(input: &mut Unstructured<'_>) -> Result<u64> {
    match input.int_in_range(0..=9)? {
        9 => Ok(u64::MAX - input.int_in_range(0..=2)?),
        bytes => (0..bytes).try_fold(0, |sum, _| Ok(sum << u8::BITS | u64::from(u8::arbitrary(input)?))),
    }
}

/// A number below 20 as a rule, and otherwise any.
pub(crate) fn small(input: &mut Unstructured<'_>) -> Result<u64> {
    match input.int_in_range(0..=23)? {
        20.. => number(input),
        small => Ok(small),
    }
}

/// Nothing, or something.
pub(crate) fn option<T>(
    input: &mut Unstructured<'_>,
    some: impl FnOnce(&mut Unstructured<'_>) -> Result<T>,
) -> Result<Option<T>> {
    if input.arbitrary()? { some(input).map(Some) } else { Ok(None) }
}
