package tail

import "bytes"

// Line is one line of a Chunk.
type Line struct {
	Start, End uint32 // in Chunk.Text, without the line end
	Offset     int64  // of the first byte in the file's (decompressed) stream
	Truncated  bool   // the line was longer than MaxLine, or the group was closed by a limit
}

// skipMode says what the bytes at an offset are: the remainder of a line that was cut is not read as a line again.
type skipMode uint8

const (
	skipNone skipMode = iota
	skipLine          // up to and with the next newline
	skipNUL           // up to the first byte that is not NUL: a hole left by a crash, or by a writer that kept its offset
)

// splitter finds lines and groups. Its answer depends on the bytes from the offset on alone, never on where a chunk
// happened to end: a restart at any position finds the same lines.
type splitter struct {
	maxLine int
	multi   *Multiline
}

// span is a physical line in the buffer.
type span struct {
	start, end, next int
	cut              bool
	skip             skipMode
}

// resume passes over what skip says and returns where the next line begins.
func resume(buf []byte, pos int, skip skipMode) (int, skipMode) {
	switch skip {
	case skipLine:
		if i := bytes.IndexByte(buf[pos:], '\n'); i >= 0 {
			return pos + i + 1, skipNone
		}
		return len(buf), skipLine
	case skipNUL:
		for ; pos < len(buf); pos++ {
			if buf[pos] != 0 {
				return pos, skipNone
			}
		}
		return pos, skipNUL
	}
	return pos, skipNone
}

// next returns the physical line at pos; ok is false where it is not complete yet.
func (s *splitter) next(buf []byte, pos int, final bool) (sp span, ok bool) {
	rest := buf[pos:]
	nl := bytes.IndexByte(rest, '\n')
	length := nl
	if nl < 0 {
		length = len(rest)
	}
	if length > s.maxLine {
		sp = span{start: pos, end: pos + s.maxLine, next: pos + s.maxLine, cut: true, skip: skipLine}
		if allNUL(rest[:s.maxLine]) {
			sp.skip = skipNUL
		}
		return sp, true
	}
	if nl < 0 {
		return span{start: pos, end: len(buf), next: len(buf)}, final && length > 0
	}
	end := pos + nl
	if nl > 0 && buf[end-1] == '\r' {
		end--
	}
	return span{start: pos, end: end, next: pos + nl + 1}, true
}

// split appends the lines of buf to lines and returns how many bytes they, and what was passed over, take.
// base is the offset of buf[0]. flush closes an unfinished group; final also takes a last line without newline.
func (s *splitter) split(buf []byte, base int64, skip skipMode, flush, final bool, lines []Line) ([]Line, int, skipMode) {
	if s.multi != nil {
		return s.splitGroups(buf, base, skip, flush || final, final, lines)
	}
	pos, skip := resume(buf, 0, skip)
	for pos < len(buf) && len(lines) < maxChunkLines {
		// The plain case, spelled out as it is met a million times a second.
		if nl := bytes.IndexByte(buf[pos:], '\n'); nl >= 0 && nl <= s.maxLine {
			end := pos + nl
			if nl > 0 && buf[end-1] == '\r' {
				end--
			}
			if end > pos {
				lines = append(lines, Line{Start: uint32(pos), End: uint32(end), Offset: base + int64(pos)})
			}
			pos += nl + 1
			continue
		}
		sp, ok := s.next(buf, pos, final)
		if !ok {
			break
		}
		if sp.end > sp.start {
			lines = append(lines, Line{Start: uint32(sp.start), End: uint32(sp.end), Offset: base + int64(sp.start), Truncated: sp.cut})
		}
		pos = sp.next
		if sp.cut {
			pos, skip = resume(buf, pos, sp.skip)
		}
	}
	return lines, pos, skip
}

// splitGroups is split with lines joined by the multiline pattern. Bytes of an unfinished group are not taken, so
// that the position is always the start of a group.
func (s *splitter) splitGroups(buf []byte, base int64, skip skipMode, flush, final bool, lines []Line) ([]Line, int, skipMode) {
	pos, skip := resume(buf, 0, skip)
	taken := pos
	start, end, count := 0, 0, 0
	more := func() bool { return pos < len(buf) && len(lines) < maxChunkLines }
	emit := func(next int, cut bool) {
		if count > 0 && end > start {
			lines = append(lines, Line{Start: uint32(start), End: uint32(end), Offset: base + int64(start), Truncated: cut})
		}
		count = 0
		taken = next
	}
	for more() {
		sp, ok := s.next(buf, pos, final)
		if !ok {
			break
		}
		joins := s.multi.Pattern.Match(buf[sp.start:sp.end]) != s.multi.Negate
		if count > 0 {
			full := count >= s.multi.MaxLines || sp.end-start > s.maxLine
			if full || (s.multi.Match == After && !joins) {
				emit(sp.start, full)
			}
		}
		if count == 0 {
			start = sp.start
		}
		end = sp.end
		count++
		pos = sp.next
		if sp.cut {
			emit(pos, true)
			pos, skip = resume(buf, pos, sp.skip)
			taken = pos
			continue
		}
		if s.multi.Match == Before && !joins {
			emit(pos, false)
		}
	}
	if flush && count > 0 && len(lines) < maxChunkLines { // at the limit the group may go on in what is in hand
		emit(pos, false)
	}
	return lines, taken, skip
}

func allNUL(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}
