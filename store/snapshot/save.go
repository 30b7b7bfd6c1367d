package snapshot

import "encoding/binary"

// Content is what a snapshot is made of.
type Content struct {
	Settings Settings
	Tables   *Tables // but for the checksums of the pages
	PageSize int     // in bytes
	Used     []int   // bytes of each page from its beginning that are summed up
	Index    [][]byte
}

// SaveSteps are what a save does, in an order in which a snapshot that is accepted is complete, wherever it is cut off. The content is asked for
// once, when it is written.
func (f *File) SaveSteps(content func() Content) []func() error {
	var h header
	return []func() error{
		func() error { return f.Meta.Truncate(0) },
		func() (err error) { h, err = f.writeBody(content()); return err },
		f.Meta.Sync,
		f.Items.Sync, // what was written through the mapping, too
		func() error { return f.writeHeader(h) },
		f.Meta.Sync,
	}
}

// writeBody writes all of the snapshot but its header, which it returns.
func (f *File) writeBody(c Content) (header, error) {
	sums, err := sumPages(f.Items, c.PageSize, c.Used)
	if err != nil {
		return header{}, err
	}
	for i := range sums {
		c.Tables.Pages[i].Sum = sums[i]
	}
	text, err := c.Tables.encode(c.Settings.String())
	if err != nil {
		return header{}, err
	}
	h := header{Magic: [len(metaMagic)]byte([]byte(metaMagic)), Version: metaVersion, ID: f.id, Tables: uint64(len(text)), Index: size(c.Index)}
	if _, err := f.Meta.WriteAt(text, HeaderSize); err != nil {
		return h, err
	}
	if h.IndexSum, err = transfer(c.Index, HeaderSize+int64(h.Tables), f.Meta.WriteAt); err != nil {
		return h, err
	}
	h.Sum, err = h.sum(text)
	return h, err
}

func (f *File) writeHeader(h header) error {
	head, err := binary.Append(nil, binary.LittleEndian, h)
	if err == nil {
		_, err = f.Meta.WriteAt(head, 0)
	}
	return err
}
