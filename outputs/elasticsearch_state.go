package outputs

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// elasticState is what an elasticsearch output must remember beyond a crash, as lines of text beside the cursor:
//
//	b <stream> <rest> ...  the backing indices that answered are .ds-<stream>-<rest>, the last one first
//	r <epoch>              of ids that had to be changed
//	s <first> <last>       sequences whose id is <epoch>-<sequence>
type elasticState struct {
	mu      sync.Mutex
	streams []backing // least recently changed first
	by      map[string]int
	epoch   string
	ranges  []seqRange // ascending
	dirty   bool
}

// backing is a stream with the ends of its indices' names. It needs more than the last: an item that is in doubt was sent
// before others that a newer index has answered since.
type backing struct {
	stream string
	rest   []string // last first
}

// maxBacking is how many rollovers an item may be in doubt for.
const maxBacking = 8

type seqRange struct{ first, last uint64 }

// maxState bounds the text; the log takes 8 KiB for all that is stored with a cursor.
const maxState = 7 << 10

func (s *elasticState) init() { s.by = map[string]int{} }

// backing returns the indices that answered for a stream, the last first; none where none is known.
func (s *elasticState) backing(stream []byte) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, ok := s.by[string(stream)]
	if !ok {
		return nil
	}
	names := make([]string, 0, maxBacking)
	for _, rest := range s.streams[i].rest {
		names = append(names, ".ds-"+s.streams[i].stream+"-"+rest)
	}
	return names
}

// answered notes an index that took items. Only backing indices of data streams roll over.
func (s *elasticState) answered(index []byte) {
	stream, rest := splitBacking(index)
	if stream == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	i, ok := s.by[string(stream)]
	if ok && slices.Contains(s.streams[i].rest, string(rest)) {
		return // also where answers come in another order than the rollover
	}
	b := backing{stream: string(stream)}
	if ok {
		b.rest = s.streams[i].rest
		s.streams = slices.Delete(s.streams, i, i+1)
	}
	b.rest = slices.Insert(b.rest, 0, string(rest))
	b.rest = b.rest[:min(len(b.rest), maxBacking)]
	s.streams = append(s.streams, b)
	s.reindex()
	s.dirty = true
}

func (s *elasticState) reindex() {
	clear(s.by)
	for i, b := range s.streams {
		s.by[b.stream] = i
	}
}

// splitBacking splits .ds-<stream>-<yyyy.MM.dd>-<generation>; OpenSearch leaves out the date.
func splitBacking(index []byte) (stream, rest []byte) {
	const prefix = ".ds-"
	if len(index) <= len(prefix) || string(index[:len(prefix)]) != prefix {
		return nil, nil
	}
	name := index[len(prefix):]
	cut := len(name)
	for cut > 0 && name[cut-1] >= '0' && name[cut-1] <= '9' {
		cut--
	}
	if cut == len(name) || cut < 2 || name[cut-1] != '-' {
		return nil, nil
	}
	cut--
	if d := cut - len("-2006.01.02"); d > 0 && isDate(name[d:cut]) {
		cut = d
	}
	return name[:cut], name[cut+1:]
}

func isDate(b []byte) bool {
	for i, c := range b {
		switch {
		case i == 0 && c != '-', (i == 5 || i == 8) && c != '.':
			return false
		case i != 0 && i != 5 && i != 8 && (c < '0' || c > '9'):
			return false
		}
	}
	return true
}

// rename gives the item of a sequence a new id from now on.
func (s *elasticState) rename(seq uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.epoch == "" || s.renamed(seq) {
		// A second collision means that the new epoch is not ours alone either.
		var b [16]byte
		rand.Read(b[:]) // never fails (documented)
		s.epoch = hex.EncodeToString(b[:])
	}
	s.dirty = true
	i, in := slices.BinarySearchFunc(s.ranges, seq, func(r seqRange, q uint64) int {
		switch {
		case r.last < q:
			return -1
		case r.first > q:
			return 1
		}
		return 0
	})
	if in {
		return
	}
	switch {
	case i > 0 && s.ranges[i-1].last+1 == seq:
		s.ranges[i-1].last = seq
		if i < len(s.ranges) && s.ranges[i].first == seq+1 {
			s.ranges[i-1].last = s.ranges[i].last
			s.ranges = slices.Delete(s.ranges, i, i+1)
		}
	case i < len(s.ranges) && s.ranges[i].first == seq+1:
		s.ranges[i].first = seq
	default:
		s.ranges = slices.Insert(s.ranges, i, seqRange{seq, seq})
	}
}

// renamed tells whether a sequence has a new id. Called with mu held.
func (s *elasticState) renamed(seq uint64) bool {
	for _, r := range s.ranges {
		if seq >= r.first && seq <= r.last {
			return true
		}
	}
	return false
}

// id is the id under which an item is sent.
func (s *elasticState) id(seq uint64, id []byte) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.ranges) > 0 && s.renamed(seq) {
		return s.epoch + "-" + strconv.FormatUint(seq, 10)
	}
	return string(id)
}

// renames tells whether a batch has items with a new id.
func (s *elasticState) renames(b *Batch) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.ranges) == 0 {
		return false
	}
	for k := range b.Parts {
		p := &b.Parts[k]
		for i := range p.Ends {
			if s.renamed(p.Seq(i)) {
				return true
			}
		}
	}
	return false
}

// done forgets the new ids of a batch that was taken.
func (s *elasticState) done(b *Batch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.ranges) == 0 {
		return
	}
	for k := range b.Parts {
		p := &b.Parts[k]
		for i := range p.Ends {
			s.forget(p.Seq(i))
		}
	}
}

func (s *elasticState) forget(seq uint64) {
	for i, r := range s.ranges {
		if seq < r.first || seq > r.last {
			continue
		}
		switch {
		case r.first == r.last:
			s.ranges = slices.Delete(s.ranges, i, i+1)
		case seq == r.first:
			s.ranges[i].first++
		case seq == r.last:
			s.ranges[i].last--
		default:
			s.ranges[i].last = seq - 1
			s.ranges = slices.Insert(s.ranges, i+1, seqRange{seq + 1, r.last})
		}
		return
	}
}

// changed tells whether there is something that a crash must not forget.
func (s *elasticState) changed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dirty
}

// text is the state as it is stored. What does not fit is left out: first indices that are long rolled over, then streams
// that did so long ago.
func (s *elasticState) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dirty = false
	var sb strings.Builder
	if len(s.ranges) > 0 {
		fmt.Fprintf(&sb, "r %s\n", s.epoch)
		for _, r := range s.ranges {
			if sb.Len() > maxState-64 {
				break
			}
			fmt.Fprintf(&sb, "s %d %d\n", r.first, r.last)
		}
	}
	depth := maxBacking
	for depth > 1 && sb.Len()+s.size(depth) > maxState {
		depth--
	}
	for i := len(s.streams) - 1; i >= 0; i-- {
		line := s.streams[i].line(depth)
		if sb.Len()+len(line) > maxState {
			break
		}
		sb.WriteString(line)
	}
	return sb.String()
}

func (s *elasticState) size(depth int) int {
	n := 0
	for i := range s.streams {
		n += len(s.streams[i].line(depth))
	}
	return n
}

func (b *backing) line(depth int) string {
	return "b " + b.stream + " " + strings.Join(b.rest[:min(len(b.rest), depth)], " ") + "\n"
}

// parse takes the text back. Lines that it does not know are of another version, and passed over.
func (s *elasticState) parse(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.streams, s.ranges, s.epoch = nil, nil, ""
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		switch {
		case len(f) >= 3 && f[0] == "b":
			s.streams = append(s.streams, backing{f[1], f[2:]})
		case len(f) == 2 && f[0] == "r":
			s.epoch = f[1]
		case len(f) == 3 && f[0] == "s":
			first, err1 := strconv.ParseUint(f[1], 10, 64)
			last, err2 := strconv.ParseUint(f[2], 10, 64)
			if err1 == nil && err2 == nil && first <= last {
				s.ranges = append(s.ranges, seqRange{first, last})
			}
		}
	}
	if s.epoch == "" {
		s.ranges = nil
	}
	slices.Reverse(s.streams) // text begins with the last changed
	s.reindex()
}
