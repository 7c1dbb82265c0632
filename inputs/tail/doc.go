// Package tail follows log files and gives out their lines in chunks, each with the position reached after it. It knows
// no events and keeps no state on disk: whoever takes the chunks stores the positions and hands them back at the next
// start.
//
//	globs --scan--> files (device, inode, birth, fingerprint) --poll, fsnotify--> queue of files with news
//	                                                                               | one chunk a turn
//	          position table <--- Emit(Chunk{Text, Lines, Position}) <--- split <--- pread at the position
//
// It promises:
//
//   - Every complete line of a file that was seen at all is emitted once, through renames, copytruncate, compression
//     of the rotated file, deletion while it is open, symbolic links that are switched, and restarts after any chunk.
//     What cannot be promised stands in docs/tail.md.
//   - The lines and groups found depend on the bytes after a position alone, not on where reads or chunks ended.
//   - One goroutine works and calls Emit. Files are served in turn, a chunk each.
//   - Memory is bounded: one buffer, one string per chunk, less than two KiB per file; a decompressor per compressed
//     file that is being read.
//   - Nothing but regular files beneath the allowed roots is opened, and opening never blocks.
//
// A source is one generation of one file: from its creation or truncation on. Before each read of a file that changed
// its fingerprint (a digest of its first bytes) is compared, and every read begins 64 bytes before the position and
// compares these, so that a truncation between any two system calls is noticed. A position is always the end of an
// emitted line or group; what follows is read again, so a source has no other state to lose.
package tail
