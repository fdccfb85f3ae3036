//! The frames of SPDY/3.1 that a port-forward needs: writing and reading them.
//! Must not allocate by what the other side claims: a control frame has a limit, a data frame is read in pieces.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _};

/// No further frame of this stream follows from this side.
pub(crate) const FIN: u8 = 1;

/// Largest control frame that is read.
const CONTROL_LIMIT: usize = 64 * 1024;
/// Bytes before the payload of a data frame.
pub(crate) const HEAD: usize = 8;

/// The kinds of control frames that matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Control {
    /// The other side took a stream.
    Reply {
        /// Which.
        stream: u32,
        /// It sends nothing on it.
        ended: bool,
    },
    /// The other side broke a stream off.
    Reset {
        /// Which.
        stream: u32,
        /// Its reason.
        status: u32,
    },
    /// To be sent back as it is.
    Ping(u32),
    /// The other side takes no more streams.
    GoAway,
    /// Not needed here.
    Other,
}

/// The next frame: a control frame whole, a data frame with its payload still to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Frame {
    Control(Control),
    Data {
        stream: u32,
        ended: bool,
        length: usize,
    },
}

/// Opens a stream.
///
/// Header blocks are one zlib stream for the life of a connection. This one is sent in stored (uncompressed) blocks, each
/// followed by the empty block that makes the reader hand over what it has; `first` starts the zlib stream.
pub(crate) fn syn_stream(stream: u32, flags: u8, headers: &[(&str, &str)], first: bool) -> Vec<u8> {
    let mut block = (headers.len() as u32).to_be_bytes().to_vec();
    for text in headers.iter().flat_map(|(name, value)| [name, value]) {
        block.extend((text.len() as u32).to_be_bytes());
        block.extend(text.as_bytes());
    }
    let mut packed: Vec<u8> = Vec::with_capacity(block.len() + 16);
    if first {
        packed.extend([0x78, 0x01]);
    }
    // Headers of a port-forward are some dozen bytes; a stored block holds 65,535.
    let length = block.len() as u16;
    packed.push(0);
    packed.extend(length.to_le_bytes());
    packed.extend((!length).to_le_bytes());
    packed.extend(block);
    packed.extend([0, 0, 0, 0xff, 0xff]);
    let mut body = stream.to_be_bytes().to_vec();
    body.extend([0; 6]);
    body.extend(packed);
    control(1, flags, &body)
}

/// Breaks a stream off that nobody needs any more.
pub(crate) fn cancel(stream: u32) -> Vec<u8> {
    let mut body = stream.to_be_bytes().to_vec();
    body.extend(5_u32.to_be_bytes());
    control(3, 0, &body)
}

/// Sends a ping back.
pub(crate) fn ping(id: u32) -> Vec<u8> {
    control(6, 0, &id.to_be_bytes())
}

fn control(kind: u16, flags: u8, body: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x80, 3];
    frame.extend(kind.to_be_bytes());
    frame.push(flags);
    frame.extend(&(body.len() as u32).to_be_bytes()[1..]);
    frame.extend(body);
    frame
}

/// The head of a data frame; the payload is at most 2^24 - 1 bytes.
pub(crate) fn data_head(stream: u32, flags: u8, length: usize) -> [u8; HEAD] {
    let mut head = [0; HEAD];
    head[..4].copy_from_slice(&(stream & 0x7fff_ffff).to_be_bytes());
    // The length's highest byte is the flags' place.
    head[4..].copy_from_slice(&(length as u32).to_be_bytes());
    head[4] = flags;
    head
}

/// Reads the next frame; `None` at the end of the connection between two frames.
pub(crate) async fn read(reader: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Frame>> {
    let mut head = [0; HEAD];
    if reader.read(&mut head[..1]).await? == 0 {
        return Ok(None);
    }
    reader.read_exact(&mut head[1..]).await?;
    let word = u32::from_be_bytes([head[0], head[1], head[2], head[3]]);
    let length = u32::from_be_bytes([0, head[5], head[6], head[7]]) as usize;
    let ended = head[4] & FIN != 0;
    if word & 0x8000_0000 == 0 {
        return Ok(Some(Frame::Data {
            stream: word,
            ended,
            length,
        }));
    }
    if (word >> 16) & 0x7fff != 3 || length > CONTROL_LIMIT {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "the other side does not speak SPDY/3",
        ));
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).await?;
    let number = |at: usize| {
        let bytes = body.get(at..at + 4).and_then(|b| b.try_into().ok());
        bytes.map(u32::from_be_bytes)
    };
    let control = match (word & 0xffff, number(0), number(4)) {
        (2, Some(stream), _) => Control::Reply { stream, ended },
        (3, Some(stream), Some(status)) => Control::Reset { stream, status },
        (6, Some(id), _) => Control::Ping(id),
        (7, _, _) => Control::GoAway,
        _ => Control::Other,
    };
    Ok(Some(Frame::Control(control)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn frames_are_read_as_they_were_written() {
        let mut bytes = cancel(3);
        bytes.extend(ping(7));
        bytes.extend(data_head(3, FIN, 5));
        let mut reader = &bytes[..];
        assert_eq!(
            read(&mut reader).await.unwrap(),
            Some(Frame::Control(Control::Reset {
                stream: 3,
                status: 5
            }))
        );
        assert_eq!(
            read(&mut reader).await.unwrap(),
            Some(Frame::Control(Control::Ping(7)))
        );
        assert_eq!(
            read(&mut reader).await.unwrap(),
            Some(Frame::Data {
                stream: 3,
                ended: true,
                length: 5
            })
        );
        assert_eq!(read(&mut reader).await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_cut_or_foreign_frame_is_an_error() {
        assert!(read(&mut &ping(7)[..9]).await.is_err());
        assert!(
            read(&mut &b"HTTP/1.1 400"[..])
                .await
                .is_ok_and(|f| matches!(f, Some(Frame::Data { .. })))
        );
        assert!(read(&mut &[0x80, 2, 0, 1, 0, 0, 0, 0][..]).await.is_err());
        assert!(
            read(&mut &[0x80, 3, 0, 1, 0, 0xff, 0, 0][..])
                .await
                .is_err()
        );
    }

    #[test]
    fn a_header_block_is_a_zlib_stream_of_stored_blocks() {
        let frame = syn_stream(1, 0, &[("port", "80")], true);
        let block = &frame[HEAD + 10..];
        assert_eq!(block[..2], [0x78, 0x01]);
        let length = u16::from_le_bytes([block[3], block[4]]) as usize;
        assert_eq!(length, 4 + 4 + 4 + 4 + 2);
        assert_eq!(block.len(), 2 + 5 + length + 5);
        assert!(
            syn_stream(3, FIN, &[], false)[HEAD + 10] == 0,
            "the stream goes on"
        );
    }
}
