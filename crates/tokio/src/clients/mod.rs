//! Clients that a task of their own keeps going.

mod browser;
mod counted;
mod driver;
mod reconnecting;

pub use browser::BrowserSocket;
pub use reconnecting::{ReconnectEvent, ReconnectingSocket};
