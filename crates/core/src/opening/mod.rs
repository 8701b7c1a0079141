//! The opening handshake over owned buffers: what an adapter drives.

mod client;
mod decision;
mod server;

pub use client::{ClientOpening, ConnectRequest, Opened, OpeningFailure, ResponseHead};
pub use decision::{Accept, Decision, HttpResponse};
pub use server::{Accepted, Outcome, Refused, ServerOpening};

use crate::handshake::Field;

/// Owned fields, lent.
fn lend(fields: &[(alloc::string::String, alloc::string::String)]) -> alloc::vec::Vec<Field<'_>> {
    fields.iter().map(|(name, value)| Field::new(name, value)).collect()
}
