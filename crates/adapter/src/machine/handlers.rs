//! Callbacks, for those who like them.

use std::fmt;

use duologue_core::Message;

use crate::error::Error;
use crate::machine::{BrowserEvent, BrowserHandle};

/// What is called for each event of the browser's object: `onopen`, `onmessage`, `onerror` and
/// `onclose`. Each gets the object's handle; setting one again replaces it.
#[derive(Default)]
pub struct Handlers {
    open: Option<OnOpen>,
    message: Option<OnMessage>,
    error: Option<OnError>,
    close: Option<OnClose>,
}

type OnOpen = Box<dyn FnMut(&BrowserHandle) + Send>;
type OnMessage = Box<dyn FnMut(&BrowserHandle, &Message) + Send>;
type OnError = Box<dyn FnMut(&BrowserHandle, Option<&Error>) + Send>;
type OnClose = Box<dyn FnMut(&BrowserHandle, u16, &str, bool, Option<&Error>) + Send>;

impl Handlers {
    /// Sets what is called when the connection is open.
    pub fn on_open(&mut self, handler: impl FnMut(&BrowserHandle) + Send + 'static) {
        self.open = Some(Box::new(handler));
    }

    /// Sets what is called for each message.
    pub fn on_message(&mut self, handler: impl FnMut(&BrowserHandle, &Message) + Send + 'static) {
        self.message = Some(Box::new(handler));
    }

    /// Sets what is called when the connection has failed, with the cause.
    pub fn on_error(
        &mut self,
        handler: impl FnMut(&BrowserHandle, Option<&Error>) + Send + 'static,
    ) {
        self.error = Some(Box::new(handler));
    }

    /// Sets what is called when the connection is over, with the code, the reason, whether the
    /// close was clean, and why the connection was lost, where no error has told it.
    pub fn on_close(
        &mut self,
        handler: impl FnMut(&BrowserHandle, u16, &str, bool, Option<&Error>) + Send + 'static,
    ) {
        self.close = Some(Box::new(handler));
    }

    /// Calls what is set for `event`.
    pub fn dispatch(&mut self, handle: &BrowserHandle, event: &BrowserEvent) {
        match event {
            BrowserEvent::Open => {
                if let Some(handler) = &mut self.open {
                    handler(handle);
                }
            }
            BrowserEvent::Message { data, .. } => {
                if let Some(handler) = &mut self.message {
                    handler(handle, data);
                }
            }
            BrowserEvent::Error(cause) => {
                if let Some(handler) = &mut self.error {
                    handler(handle, cause.as_ref());
                }
            }
            BrowserEvent::Close { code, reason, was_clean, cause } => {
                if let Some(handler) = &mut self.close {
                    handler(handle, *code, reason, *was_clean, cause.as_ref());
                }
            }
        }
    }
}

impl fmt::Debug for Handlers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handlers")
            .field("open", &self.open.is_some())
            .field("message", &self.message.is_some())
            .field("error", &self.error.is_some())
            .field("close", &self.close.is_some())
            .finish()
    }
}
