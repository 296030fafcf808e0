//! The stores whose keys are their own: sessions, handles, bodies and postures run the user's clocks, payloads, guards,
//! listeners and names.
