package tail

import (
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	maxWatches = 1024
	maxHints   = 1024
	// A busy writer makes an event for each write. Events are taken no faster than this, so that the kernel folds
	// the rest of them into one.
	hintPause = 10 * time.Millisecond
)

// notifier turns file system events into hints to look now. It may miss events, or be absent (nil): then a change is
// seen at the next poll.
type notifier struct {
	w       *fsnotify.Watcher
	log     *slog.Logger
	wake    chan struct{}
	stop    chan struct{}
	done    chan struct{}
	watched map[string]bool
	failed  bool

	mu    sync.Mutex
	hints hints
	names map[string]bool // that changed since the last poll; nil: any may have
}

type hints struct{ changed, scan bool }

func newNotifier(log *slog.Logger) *notifier {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		log.Info("file notification is not available, polling alone", "error", err)
		return nil
	}
	n := &notifier{
		w: w, log: log, wake: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{}),
		watched: make(map[string]bool), names: make(map[string]bool),
	}
	go n.run()
	return n
}

func (n *notifier) run() {
	defer close(n.done)
	pause := time.NewTimer(hintPause)
	defer pause.Stop()
	for {
		select {
		case ev, ok := <-n.w.Events:
			if !ok {
				return
			}
			n.note(ev)
		case err, ok := <-n.w.Errors:
			if !ok {
				return
			}
			n.lost(err)
		}
		n.drain()
		select {
		case n.wake <- struct{}{}:
		default:
		}
		pause.Reset(hintPause)
		select {
		case <-n.stop:
			return
		case <-pause.C:
		}
	}
}

// drain takes what is there already; bounded, so that it ends under any load.
func (n *notifier) drain() {
	for range 256 {
		select {
		case ev, ok := <-n.w.Events:
			if !ok {
				return
			}
			n.note(ev)
		case err, ok := <-n.w.Errors:
			if !ok {
				return
			}
			n.lost(err)
		default:
			return
		}
	}
}

func (n *notifier) note(ev fsnotify.Event) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if ev.Has(fsnotify.Create) || ev.Has(fsnotify.Rename) || ev.Has(fsnotify.Remove) {
		n.hints.scan = true
	}
	n.hints.changed = true
	if len(n.names) >= maxHints {
		n.names = nil
	}
	if n.names != nil {
		n.names[ev.Name] = true
	}
}

// lost is told that events are missing: look at everything.
func (n *notifier) lost(err error) {
	n.mu.Lock()
	n.hints = hints{changed: true, scan: true}
	n.names = nil
	n.mu.Unlock()
	if !errors.Is(err, fsnotify.ErrEventOverflow) {
		n.log.Debug("file notification", "error", err)
	}
}

// take returns the hints since the last call.
func (n *notifier) take() hints {
	if n == nil {
		return hints{}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	h := n.hints
	n.hints = hints{}
	return h
}

// hinted says whether path changed since the last poll, and forgets it.
func (n *notifier) hinted(path string) bool {
	if n == nil {
		return false
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.names == nil {
		return true
	}
	had := n.names[path]
	delete(n.names, path)
	return had
}

// watch adds directories; those that vanish are dropped by the kernel.
func (n *notifier) watch(dirs map[string]bool) {
	if n == nil {
		return
	}
	n.mu.Lock()
	n.names = make(map[string]bool)
	n.mu.Unlock()
	for dir := range n.watched {
		if !dirs[dir] {
			_ = n.w.Remove(dir) // it may be gone already
			delete(n.watched, dir)
		}
	}
	for dir := range dirs {
		// Adding again is cheap, and needed where the directory was removed and made anew.
		if !n.watched[dir] && len(n.watched) >= maxWatches {
			continue
		}
		if err := n.w.Add(dir); err == nil {
			n.watched[dir] = true
		} else if !n.failed && !isGone(err) {
			n.failed = true
			n.log.Info("watch directory, polling alone", "path", dir, "error", err)
		}
	}
}

// woken is closed over by the wait; a nil notifier never wakes.
func (n *notifier) woken() <-chan struct{} {
	if n == nil {
		return nil
	}
	return n.wake
}

func (n *notifier) close() {
	if n == nil {
		return
	}
	close(n.stop)
	n.w.Close()
	<-n.done
}
