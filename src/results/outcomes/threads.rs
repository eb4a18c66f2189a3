//! Work on blocks, shared by two threads. Each block has its thread by its place in the input, so that a thread
//! does the same in every run.

use std::io::Read;
use std::sync::mpsc;
use std::thread;

use crate::rows::{Block, Blocks, RowsError};

/// How many buffers there are: for each thread one that it works on and one that waits, and one that is read into.
const BUFFERS: usize = 5;

/// Has two threads do their work on the blocks in turn: the first on the first one, the second on the next, and so
/// on. This thread reads.
pub(super) fn deal<R: Read>(
    first: Block,
    blocks: &mut Blocks<R>,
    work: [&mut (dyn FnMut(&Block) + Send); 2],
) -> Result<(), RowsError> {
    thread::scope(|scope| {
        let (used, spare) = mpsc::channel();
        let senders = work.map(|work| {
            let (send, receive) = mpsc::sync_channel::<Block>(1);
            let used = used.clone();
            scope.spawn(move || {
                for block in receive {
                    work(&block);
                    // Nobody reads any more after an error.
                    used.send(block.into_buffer()).ok();
                }
            });
            send
        });
        drop(used);
        let mut next = Some(first);
        let mut turns = senders.iter().cycle();
        let mut buffers = 1;
        while let (Some(block), Some(turn)) = (next, turns.next()) {
            if turn.send(block).is_err() {
                break;
            }
            let buffer = match spare.try_recv() {
                Ok(buffer) => buffer,
                Err(_) if buffers < BUFFERS => {
                    buffers += 1;
                    Vec::new()
                }
                Err(_) => spare.recv().unwrap_or_default(),
            };
            next = blocks.next(buffer)?;
        }
        Ok(())
    })
}
