use std::{
    io,
    os::fd::{BorrowedFd, OwnedFd},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{UnixStream, unix},
};
use zbus::{
    connection::socket::{ReadHalf, Socket, Split, WriteHalf},
    export::async_trait::async_trait,
};

use super::private::{Front, front, restamp};

/// All properties of a service are some 13 kB; a buffer that holds them is filled by one read.
const USUAL: usize = 32 << 10;

/// systemd's private socket, as zbus can bear it.
#[derive(Debug)]
pub(super) struct PrivateSocket(pub(super) UnixStream);

impl Socket for PrivateSocket {
    type ReadHalf = Reader;
    type WriteHalf = Writer;

    fn split(self) -> Split<Reader, Writer> {
        let (read, write) = self.0.into_split();
        Split::new(Reader { stream: read, held: Vec::with_capacity(USUAL), ready: 0 }, Writer(write))
    }
}

/// Lets bytes through only as whole lines and whole messages, the latter with another sender.
#[derive(Debug)]
pub(super) struct Reader {
    stream: unix::OwnedReadHalf,
    held: Vec<u8>,
    ready: usize,
}

#[async_trait]
impl ReadHalf for Reader {
    async fn recvmsg(&mut self, out: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
        while self.ready == 0 {
            match front(&self.held) {
                Front::Line(length) => self.ready = length,
                Front::Message(length) => {
                    restamp(&mut self.held[..length]);
                    self.ready = length;
                }
                Front::Nonsense => return Err(io::ErrorKind::InvalidData.into()),
                Front::Short => {
                    if self.stream.read_buf(&mut self.held).await? == 0 {
                        return Ok((0, Vec::new()));
                    }
                }
            }
        }
        let length = out.len().min(self.ready);
        out[..length].copy_from_slice(&self.held[..length]);
        self.held.drain(..length);
        self.ready -= length;
        Ok((length, Vec::new()))
    }
}

/// The other direction, as it is.
#[derive(Debug)]
pub(super) struct Writer(unix::OwnedWriteHalf);

#[async_trait]
impl WriteHalf for Writer {
    async fn sendmsg(&mut self, bytes: &[u8], _fds: &[BorrowedFd<'_>]) -> io::Result<usize> {
        self.0.write(bytes).await
    }

    async fn flush(&mut self) -> io::Result<()> {
        self.0.flush().await
    }

    async fn close(&mut self) -> io::Result<()> {
        self.0.shutdown().await
    }
}
