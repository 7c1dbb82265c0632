package store

import (
	"database/sql/driver"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"sync"

	"github.com/klauspost/compress/s2"
)

// A document is stored as four bytes, the sum of its dictionary (0: none), and an S2 block. The dictionary is a few documents of the
// same dataset, kept in the table dict: documents of a dataset are so alike that one takes a sixth of its text.

// dictionaries of all stores that this process has open, by their sum. They never change and are few.
var dictionaries sync.Map // uint32 -> *s2.Dict

const (
	mostDictionaries  = 256       // of a store; further datasets go without
	dictionarySamples = 8         // documents
	dictionaryBytes   = 16 << 10  // of a dictionary
	mostDocument      = 256 << 20 // bytes of a document that is read back
)

// errDocument says that a document cannot be read: damage that SQLite's own structure did not show.
var errDocument = errors.New("unreadable document")

func sumOf(data []byte) uint32 { return max(1, crc32.ChecksumIEEE(data)) }

// addDictionary makes a dictionary known to this process.
func addDictionary(data []byte) (uint32, *s2.Dict) {
	sum := sumOf(data)
	if d, ok := dictionaries.Load(sum); ok {
		return sum, d.(*s2.Dict)
	}
	d := s2.MakeDict(data, nil)
	if d == nil {
		return 0, nil
	}
	dictionaries.Store(sum, d)
	return sum, d
}

// decodeDocument appends the text of a stored document to dst.
func decodeDocument(dst, stored []byte) ([]byte, error) {
	if len(stored) < 5 {
		return dst, errDocument
	}
	sum, block := binary.LittleEndian.Uint32(stored), stored[4:]
	n, err := s2.DecodedLen(block)
	if err != nil || n > mostDocument {
		return dst, errDocument
	}
	if cap(dst) < n {
		dst = make([]byte, n+n/4)
	}
	dst = dst[:cap(dst)]
	var out []byte
	if sum == 0 {
		out, err = s2.Decode(dst, block)
	} else {
		d, ok := dictionaries.Load(sum)
		if !ok {
			return dst, fmt.Errorf("%w: dictionary %08x is not there", errDocument, sum)
		}
		out, err = d.(*s2.Dict).Decode(dst, block)
	}
	if err != nil {
		return dst, fmt.Errorf("%w: %w", errDocument, err)
	}
	return out, nil
}

// packer makes stored documents; it belongs to the writer.
type packer struct {
	byDataset map[string]*packing
	count     int
	added     []string // datasets whose dictionary is in the transaction that is open
	buf       []byte   // documents of one INSERT
}

type packing struct {
	sum  uint32
	dict *s2.Dict // nil: goes without
}

// of returns how the documents of an event's dataset are packed; a new dataset gets its dictionary from what the batch has of it.
func (p *packer) of(dataset string, rest []Item, save func(dataset string, data []byte) error) (*packing, error) {
	if x, ok := p.byDataset[dataset]; ok {
		return x, nil
	}
	x := &packing{}
	if p.count < mostDictionaries {
		var data []byte
		samples := 0
		for i := range rest {
			if doc := rest[i].Doc; rest[i].Event.Dataset == dataset && len(data)+len(doc) <= dictionaryBytes {
				data = append(data, doc...)
				if samples++; samples == dictionarySamples {
					break
				}
			}
		}
		if len(data) >= s2.MinDictSize {
			if err := save(dataset, data); err != nil {
				return nil, err
			}
			x.sum, x.dict = addDictionary(data)
			p.added = append(p.added, dataset)
			p.count++
		}
	}
	if len(p.byDataset) < 4*mostDictionaries { // a hostile sender's datasets do not grow it
		p.byDataset[dataset] = x
	}
	return x, nil
}

// forget undoes what the transaction that failed had added.
func (p *packer) forget() {
	for _, d := range p.added {
		delete(p.byDataset, d)
		p.count--
	}
	p.added = p.added[:0]
}

// pack appends a stored document to p.buf and returns it.
func (p *packer) pack(x *packing, doc []byte) []byte {
	start := len(p.buf)
	p.buf = binary.LittleEndian.AppendUint32(p.buf, x.sum)
	at := len(p.buf)
	need := s2.MaxEncodedLen(len(doc))
	if cap(p.buf)-at < need {
		p.buf = append(p.buf, make([]byte, need)...)[:at]
	}
	room := p.buf[at : at+need : at+need]
	var out []byte
	if x.dict != nil {
		out = x.dict.Encode(room, doc)
	} else {
		out = s2.Encode(room, doc)
	}
	p.buf = p.buf[:at+len(out)]
	return p.buf[start:]
}

// saveDictionary is packer.of's save within the writer's transaction.
func (w *writer) saveDictionary(dataset string, data []byte) error {
	_, err := w.conn.(driver.ExecerContext).ExecContext(bg, "INSERT INTO dict (dataset, data) VALUES (?, ?)",
		[]driver.NamedValue{{Ordinal: 1, Value: dataset}, {Ordinal: 2, Value: data}})
	return err
}

// loadPacker reads the dictionaries that the store has.
func (w *writer) loadPacker() error {
	w.pack = packer{byDataset: map[string]*packing{}}
	rows, err := w.conn.(driver.QueryerContext).QueryContext(bg, "SELECT dataset, data FROM dict", nil)
	if err != nil {
		return err
	}
	defer rows.Close()
	dest := make([]driver.Value, 2)
	for {
		if err := rows.Next(dest); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		dataset, _ := dest[0].(string)
		data, _ := dest[1].([]byte)
		sum, d := addDictionary(append([]byte(nil), data...))
		w.pack.byDataset[dataset] = &packing{sum, d}
		w.pack.count++
	}
}
