package store

import (
	"errors"
	"fmt"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// damage is ErrCorrupt with the file, what SQLite says, and what to do.
type damage struct{ path, what string }

func (d *damage) Error() string {
	return fmt.Sprintf("%v: %s: %s; move it and its -wal and -shm files away and start again: events that the buffer still holds are stored again, "+
		"and sqlite3's .recover reads what is left of the old one", ErrCorrupt, d.path, d.what)
}

func (d *damage) Is(target error) bool { return target == ErrCorrupt }

// explain turns SQLite's codes into errors that say what to do.
func explain(err error, path string) error {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return err
	}
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_FULL:
		return fmt.Errorf("%w: %s cannot grow; free some space, it goes on by itself (%w)", ErrFull, path, err)
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return fmt.Errorf("%w: %s (%w)", ErrLocked, path, err)
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return &damage{path, err.Error()}
	case sqlite3.SQLITE_CANTOPEN:
		return fmt.Errorf("%s cannot be opened; to read a store its -wal and -shm files have to be readable as well (%w)", path, err)
	}
	return err
}

func checkVersion(version int) error {
	switch {
	case version > schemaVersion:
		return fmt.Errorf("%w: its schema is %d, this one knows %d; use that version, or another folder", ErrNewer, version, schemaVersion)
	case version < schemaVersion:
		return fmt.Errorf("its schema is %d, not %d: it is no store of Gatebook", version, schemaVersion)
	}
	return nil
}
