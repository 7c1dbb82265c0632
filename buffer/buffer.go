// Package buffer is Gatebook's on-disk log: blocks of items and the source positions reached after them, appended
// under one checksum and one fsync, and read by named cursors. It knows no events: items are bytes.
//
//	inputs ── Append(Block) ──> queue ──> writer: one write + fdatasync for all that waits ──> segment files
//	             │                           │ after the checked fsync
//	             └── Ticket.Wait <───────────┼──> positions
//	                                         └──> tail cache ──> Reader.Next ──> Settle ──> Commit ──> cursor file
//	                          segment files ──────────────────────┘ (a reader that lags behind)
//
// What it promises:
//
//   - A ticket completes, and readers see a block, only after the fsync of its bytes, and of its segment's
//     directory entry, has succeeded. A descriptor whose fsync failed is never used again: what was not fsynced
//     is written again to a new segment.
//   - After a crash or a power cut the log holds a prefix of what was appended, everything acknowledged
//     included, and Positions is what the last whole block says. Nothing torn is ever handed out.
//   - Damaged blocks are set aside (folder quarantine) and counted; nothing before or after them is lost.
//   - Every item is handed to every required reader at least once until it is settled and committed, in order.
//   - A slow reader stops neither the writer nor another reader, unless it is required and the log is full.
//   - Per reader: waiting at open + appended = delivered + filtered + dead-lettered + skipped + waiting.
//   - MaxBytes holds; a full log or disk blocks Append (or drops the oldest segment), and recovers by itself.
//     Cursors, dead letters and alerts have a reserve that inputs cannot use.
//
// The files are described byte by byte in docs/buffer-format.md.
package buffer
