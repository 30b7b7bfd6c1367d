package snapshot

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// What is refused, and is not there to be restored, is no damage but for ErrDamaged.
var (
	ErrNew     = errors.New("it is new")
	ErrUnclean = errors.New("the server that used it was not stopped, but ended otherwise")
	ErrApart   = errors.New("it and its " + MetaSuffix + " do not belong together")
	// ErrDamaged is for a snapshot whose contents make no sense.
	ErrDamaged = errors.New("it is damaged")
)

// Shape is how many stripes, classes and pages a store has, and with them a snapshot that fits it.
type Shape struct{ Stripes, Classes, Pages int }

// Read returns the tables of the snapshot, if it is whole, belongs to the items beside it, and was saved by a store with the same settings. The
// caller checks what is in them, and then CheckPages and ReadIndex the rest. Nothing is changed.
func (f *File) Read(settings Settings, shape Shape) (*Tables, error) {
	h, text, err := f.readTables()
	if err != nil {
		return nil, err
	}
	saved, text, err := decodeSettings(text)
	if err != nil {
		return nil, err
	}
	if err := compareSettings(saved, settings.String()); err != nil {
		return nil, err
	}
	if info, err := f.Items.Stat(); err != nil || info.Size() != f.size {
		return nil, errors.Join(err, ErrDamaged)
	}
	t, err := decodeTables(text, shape)
	if err == nil {
		t.header = h
	}
	return t, err
}

// readTables reads a snapshot up to its index, and checks that it is whole and that it belongs to the items.
func (f *File) readTables() (h header, text []byte, err error) {
	info, err := f.Meta.Stat()
	if err != nil {
		return h, nil, err
	}
	id, found, err := f.trailer()
	if err != nil {
		return h, nil, err
	}
	if info.Size() == 0 && !found {
		return h, nil, ErrNew
	}
	if h, err = f.readHeader(info.Size()); err != nil {
		return h, nil, err
	}
	text = make([]byte, h.Tables)
	if _, err := f.Meta.ReadAt(text, HeaderSize); err != nil {
		return h, nil, err
	}
	if sum, err := h.sum(text); err != nil || sum != h.Sum {
		return h, nil, errors.Join(err, ErrDamaged)
	}
	if !found || id != h.ID {
		return h, nil, ErrApart
	}
	return h, text, nil
}

// readHeader reads the header of a snapshot of size bytes in all.
func (f *File) readHeader(size int64) (h header, err error) {
	if size < HeaderSize {
		return h, ErrUnclean
	}
	head := make([]byte, HeaderSize)
	if _, err := f.Meta.ReadAt(head, 0); err != nil {
		return h, err
	}
	if bytes.Equal(head, make([]byte, len(head))) {
		return h, ErrUnclean
	}
	if _, err := binary.Decode(head, binary.LittleEndian, &h); err != nil {
		return h, err
	}
	switch body := uint64(size - HeaderSize); {
	case string(h.Magic[:]) != metaMagic:
		return h, ErrDamaged
	case h.Version != metaVersion:
		return h, fmt.Errorf("its format is %d, this server's is %d", h.Version, metaVersion)
	case h.Tables > body || h.Index != body-h.Tables:
		return h, ErrDamaged
	}
	return h, nil
}

// ReadIndex fills parts, the memory of the index, from the snapshot of t. If the file does not have what was written, it clears them.
func (f *File) ReadIndex(t *Tables, parts [][]byte) error {
	if t.header.Index != size(parts) {
		return ErrDamaged
	}
	sum, err := transfer(parts, HeaderSize+int64(t.header.Tables), f.Meta.ReadAt)
	if err == nil && sum != t.header.IndexSum {
		err = ErrDamaged
	}
	if err != nil {
		for _, part := range parts {
			clear(part)
		}
	}
	return err
}

func size(parts [][]byte) (n uint64) {
	for _, part := range parts {
		n += uint64(len(part))
	}
	return n
}
