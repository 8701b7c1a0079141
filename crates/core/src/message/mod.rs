//! Layer 2: whole messages and a buffered endpoint, over `bytes`.

#[cfg(feature = "deflate")]
mod deflation;
mod endpoint;
#[cfg(feature = "deflate")]
mod inflation;
mod prepared;
mod read_buffer;
mod sending;
mod stall;
mod types;
mod write_queue;

pub use endpoint::{Endpoint, TransportStep};
pub use prepared::Prepared;
pub use read_buffer::{BUFFER_CAPACITY, ChunkRef, READ_SIZE, ReadBuffer, Step};
pub use types::{Message, MessageRef, Utf8Bytes};
pub use write_queue::{MAX_SLICES, WriteBatch};
