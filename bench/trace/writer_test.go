package trace

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// written writes records to a file and returns it as it is on the disk.
func written(t *testing.T, path string, format Format, records ...Record) []byte {
	t.Helper()
	out, err := Create(path, format)
	if err != nil {
		t.Fatal(err)
	}
	for i := range records {
		if err := out.Write(&records[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestSamplesAreWritten: each in each format.
func TestSamplesAreWritten(t *testing.T) {
	dir := t.TempDir()
	text := func(from int, format Format) string {
		return string(written(t, filepath.Join(dir, "x"), format, samples[from].want...))
	}
	for _, c := range []struct {
		from   int
		format Format
		want   string
	}{
		{0, Meta, "op_time,key,key_size,op,op_count,size,cache_hits,ttl\n0,nz:u:AAaaBBbbCC,26,GET,1,512,1,0\n0,9f3a,14,GET,1,0,0,0\n0,9f3a,14,SET,1,96,0,3600\n" +
			"0,nz:u:AAaaBBbbCC,26,GET,1,512,1,0\n2,nz:u:AAaaBBbbCC,26,DELETE,1,0,0,0\n"},
		{0, Plain, "0,nz:u:AAaaBBbbCC,512\n0,9f3a,96\n0,nz:u:AAaaBBbbCC,512\n"},
		{1, Meta, "op_time,key,key_size,op,op_count,size,cache_hits,ttl\n0,1700000001,40,SET,1,82,0,0\n0,1700000001,40,GET,3,0,0,0\n" +
			"0,1700000002,64,GET,2,104,2,0\n0,1700000002,64,DELETE,1,0,0,0\n"},
		{1, Plain, "0,1700000001,82\n0,1700000002,104\n0,1700000002,104\n"},
		{4, Plain, "5,17,100\n5,18446744073709551615,4096\n7,17,100\n9,17,100\n"},
	} {
		hash := appendKeyText(Meta, "nz:u:with,a,comma")
		if got, want := text(c.from, c.format), strings.ReplaceAll(c.want, "9f3a", hash); got != want {
			t.Errorf("%s as %v:\n%s\nwant\n%s", samples[c.from].file, c.format, got, want)
		}
	}
	for i, s := range samples[:5] {
		roundTrip(t, s.want, s.format)
		original, _ := os.ReadFile(filepath.Join("testdata", s.file))
		if got := text(i, s.format); s.format == Twitter && got != string(original) {
			t.Errorf("%s: %s", s.file, got)
		}
	}
}

func appendKeyText(format Format, key string) string {
	w := Writer{format: format}
	return string(w.appendKey(nil, []byte(key)))
}

// TestNextAccesses: the numbers of the records, from 1, that have the same id next, however few ids are remembered at
// once.
func TestNextAccesses(t *testing.T) {
	ids := []uint64{7, 8, 7, 9, 8, 7}
	want := []int64{3, 5, 6, -1, -1, -1}
	var records []byte
	for _, id := range ids {
		records = binary.LittleEndian.AppendUint64(append(records, 1, 0, 0, 0), id)
		records = binary.LittleEndian.AppendUint64(append(records, 10, 0, 0, 0), unlinked)
	}
	for limit := 1; limit <= 4; limit++ {
		out := linked(t, records, limit)
		for i := range want {
			if got := int64(binary.LittleEndian.Uint64(out[i*recordSize+16:])); got != want[i] {
				t.Errorf("%d ids at once: record %d is followed by %d, want %d", limit, i+1, got, want[i])
			}
		}
	}
	src := rand.New(rand.NewPCG(1, 1))
	records = nil
	for range 5000 {
		r := Record{Key: []byte{byte('0' + src.IntN(10)), byte('0' + src.IntN(10))}, ValueSize: 1, Count: 1}
		records, _ = appendRecord(records, &r)
	}
	if once, often := linked(t, records, 1000), linked(t, records, 9); !bytes.Equal(once, often) {
		t.Error("the next accesses depend on how many ids are remembered at once")
	}
}

func TestFilesOfAllKindsAreReadBack(t *testing.T) {
	o := DefaultOptions("etc")
	o.Requests, o.Keys = 20_000, 1000
	var want []Record
	if err := o.Generate(t.Context(), func(r *Record) error {
		c := *r
		c.Key = bytes.Clone(r.Key)
		want = append(want, c)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"plain.csv", "packed.csv.gz", "packed.csv.zst", "x.oracleGeneral.zst", "x.bin"} {
		path := filepath.Join(t.TempDir(), name)
		format, err := ParseFormat("", path)
		if err != nil {
			t.Fatal(err)
		}
		whole := written(t, path, format, want...)
		got, problems, err := readFile(t, path)
		equal := same
		if format == OracleGeneral {
			equal = func(a, b Record) bool { return a.Time == b.Time && a.ValueSize == b.ValueSize }
		}
		if err != nil || len(problems) > 0 || !slices.EqualFunc(got, want, equal) {
			t.Errorf("%s: %d records of %d, %q, %v", name, len(got), len(want), problems, err)
		}
		if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 1 {
			t.Errorf("%s: %v is left behind", name, left)
		}
		if strings.HasSuffix(name, ".zst") {
			if out, err := exec.Command("zstd", "-tq", path).CombinedOutput(); err != nil && !errors.Is(err, exec.ErrNotFound) {
				t.Errorf("%s: zstd: %v, %s", name, err, out)
			}
		}
		if err := os.WriteFile(path, whole[:len(whole)*2/3-1], 0o600); err != nil {
			t.Fatal(err)
		}
		if _, problems, err := readFile(t, path); err == nil && len(problems) == 0 && name != "plain.csv" {
			t.Errorf("%s: the end is missing, and nobody says so", name)
		} else if err != nil && !strings.Contains(err.Error(), "line ") && !strings.Contains(err.Error(), "record ") {
			t.Errorf("%s: %v, want the line", name, err)
		}
	}
}

func TestWhatDoesNotFitIsRefused(t *testing.T) {
	out, err := Create(filepath.Join(t.TempDir(), "x.bin"), OracleGeneral)
	if err != nil {
		t.Fatal(err)
	}
	err = out.Write(&Record{Time: 1 << 32, Key: []byte("a"), ValueSize: 1, Count: 1})
	if err == nil || !strings.Contains(err.Error(), "32 bits") {
		t.Errorf("%v", err)
	}
	if err := errors.Join(out.Write(&Record{Count: 1}), out.Close()); err == nil || !strings.Contains(err.Error(), "without a key") {
		t.Errorf("%v", err)
	}
	if _, err := Create("/no/such/directory/x", Plain); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
	if _, err := ParseFormat("csv", ""); err == nil || !strings.Contains(err.Error(), `"csv" is not twitter, meta, plain or oracleGeneral`) {
		t.Errorf("%v", err)
	}
}
