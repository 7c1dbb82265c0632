package pipeline

import (
	"bufio"
	"errors"
	"io"

	"github.com/gatebook/gatebook/inputs"
)

// maxLine is the length that lines of a LineReader are cut at, as an input's max_line.
const maxLine = 64 << 10

// LineReader reads lines from a file that is at hand as a whole: what the commands read, not what the agent follows.
type LineReader struct {
	r      *bufio.Reader
	offset int64
	Number int64 // of the last line, from 1
}

// NewLineReader reads from in.
func NewLineReader(in io.Reader) *LineReader { return &LineReader{r: bufio.NewReaderSize(in, maxLine)} }

// Next returns the next line that is not empty, without its end, cut where it is too long; io.EOF after the last.
func (l *LineReader) Next() (inputs.Line, error) {
	for {
		line := inputs.Line{Offset: l.offset}
		b, err := l.r.ReadSlice('\n')
		size := len(b)
		if n := len(b); n > 0 && b[n-1] == '\n' {
			b = b[:n-1]
			if n > 1 && b[n-2] == '\r' {
				b = b[:n-2]
			}
		}
		line.Text = string(b)
		for errors.Is(err, bufio.ErrBufferFull) {
			line.Truncated = true
			b, err = l.r.ReadSlice('\n')
			size += len(b)
		}
		if err != nil && size == 0 {
			return inputs.Line{}, err
		}
		l.offset += int64(size)
		l.Number++
		if line.Text != "" {
			return line, nil
		}
	}
}
