package buffer

import "fmt"

// Close commits the cursor and lets go of the reader; its place in the log stays, as over a restart: Reader opens it again at the
// lowest unsettled block, and what was handed out and not settled counts as unknown where it was leased.
func (r *Reader) Close() error {
	l := r.l
	l.mu.Lock()
	// Nothing more is sent: what was never handed out is in doubt only where it was so before.
	r.lease = min(r.lease, max(r.handedOut, r.unknownBelow))
	l.mu.Unlock()
	if err := r.Commit(); err != nil {
		return fmt.Errorf("close reader: %w", err)
	}
	c, err := l.readCursor(l.cursorFile(r.name), r.name)
	if err != nil {
		return fmt.Errorf("close reader: %w", err)
	}
	l.mu.Lock()
	if l.readers[r.name] != r { // dropped, or closed already
		l.mu.Unlock()
		return nil
	}
	c.unknownBelow = c.lease
	l.fitCursor(c)
	delete(l.readers, r.name)
	l.known[r.name] = c
	r.closed = true
	r.wakeUp()
	l.mu.Unlock()
	r.closeFiles()
	return nil
}
