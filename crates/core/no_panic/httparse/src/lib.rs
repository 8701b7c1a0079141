//! Stands in for `httparse` in the proof that the core cannot panic: it parses nothing, and its
//! results are opaque to the compiler, so that what is proved holds for whatever a parser says.
#![no_std]
#![allow(missing_docs, clippy::missing_errors_doc)]

use core::hint::black_box;
use core::mem::MaybeUninit;

#[derive(Clone, Copy, Debug)]
pub struct Header<'a> {
    pub name: &'a str,
    pub value: &'a [u8],
}

#[derive(Clone, Copy, Debug)]
pub enum Status<T> {
    Complete(T),
    Partial,
}

#[derive(Clone, Copy, Debug)]
pub enum Error {
    HeaderName,
    Version,
}

pub struct Request<'headers, 'buf> {
    pub method: Option<&'buf str>,
    pub path: Option<&'buf str>,
    pub version: Option<u8>,
    pub headers: &'headers mut [Header<'buf>],
}

pub struct Response<'headers, 'buf> {
    pub version: Option<u8>,
    pub code: Option<u16>,
    pub reason: Option<&'buf str>,
    pub headers: &'headers mut [Header<'buf>],
}

#[derive(Default)]
pub struct ParserConfig;

impl<'h, 'b> Request<'h, 'b> {
    pub fn new(headers: &'h mut [Header<'b>]) -> Self {
        Self { method: None, path: None, version: None, headers }
    }

    pub fn parse_with_uninit_headers(
        &mut self,
        bytes: &'b [u8],
        headers: &'h mut [MaybeUninit<Header<'b>>],
    ) -> Result<Status<usize>, Error> {
        self.method = black_box(text(bytes));
        self.path = black_box(text(bytes));
        self.version = black_box(Some(1));
        self.headers = fill(bytes, headers);
        result(bytes)
    }
}

impl<'h, 'b> Response<'h, 'b> {
    pub fn new(headers: &'h mut [Header<'b>]) -> Self {
        Self { version: None, code: None, reason: None, headers }
    }
}

impl ParserConfig {
    pub fn parse_response_with_uninit_headers<'h, 'b>(
        &self,
        response: &mut Response<'h, 'b>,
        bytes: &'b [u8],
        headers: &'h mut [MaybeUninit<Header<'b>>],
    ) -> Result<Status<usize>, Error> {
        response.code = black_box(Some(101));
        response.version = black_box(Some(1));
        response.headers = fill(bytes, headers);
        result(bytes)
    }
}

fn text(bytes: &[u8]) -> Option<&str> {
    core::str::from_utf8(black_box(bytes)).ok()
}

fn fill<'h, 'b>(
    bytes: &'b [u8],
    headers: &'h mut [MaybeUninit<Header<'b>>],
) -> &'h mut [Header<'b>] {
    for header in headers.iter_mut() {
        let name = black_box(text(bytes).unwrap_or_default());
        header.write(Header { name, value: black_box(bytes) });
    }
    let count = black_box(headers.len()).min(headers.len());
    let headers = headers.get_mut(..count).unwrap_or_default();
    // SAFETY: all of them have been written.
    unsafe { &mut *(core::ptr::from_mut(headers) as *mut [Header<'b>]) }
}

fn result(bytes: &[u8]) -> Result<Status<usize>, Error> {
    black_box(Ok(Status::Complete(black_box(bytes.len()))))
}
