//! b
fn main(){}