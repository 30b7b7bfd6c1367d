package page

import (
	"bytes"
	"encoding/json"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// recorded is an answer of a server that had served a few thousand commands.
func recorded(t *testing.T) ([]byte, *Snapshot) {
	t.Helper()
	text, err := os.ReadFile("testdata/stats.json")
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	s := new(Snapshot)
	if err := d.Decode(s); err != nil {
		t.Fatal(err)
	}
	return text, s
}

// TestRecordedAnswerIsWhole: what is written of a snapshot is what was read into it, field by field.
func TestRecordedAnswerIsWhole(t *testing.T) {
	text, s := recorded(t)
	var out bytes.Buffer
	if err := s.Write(&out); err != nil {
		t.Fatal(err)
	}
	var want, got any
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("written again, the answer is\n%s", out.Bytes())
	}
	if len(s.Stats) < 90 || len(s.Channels) != 2 || len(s.Latency.Classes) < 3 || s.HotKeys == nil {
		t.Errorf("%d lines of stats, %d channels, %d classes", len(s.Stats), len(s.Channels), len(s.Latency.Classes))
	}
}

// TestEmptySnapshotHasEveryField: a script reads lists and objects, never null but for the hot keys.
func TestEmptySnapshotHasEveryField(t *testing.T) {
	for _, s := range []*Snapshot{
		{},
		{Channels: make([]Channel, 1), Latency: Latency{Classes: make([]LatencyClass, 1)}, HotKeys: &HotKeys{}},
	} {
		var out bytes.Buffer
		if err := s.Write(&out); err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(out.String(), "null"); (n == 1) != (s.HotKeys == nil) || n > 1 {
			t.Errorf("%s", out.Bytes())
		}
	}
}

func TestNamesOfHotKeysNeedLeave(t *testing.T) {
	s := &Snapshot{HotKeys: &HotKeys{Keys: []HotKey{{Name: "secret", Count: 9}}}}
	for _, names := range []bool{false, true} {
		s.HotKeys.Names = names
		var out bytes.Buffer
		if err := s.Write(&out); err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(out.String(), "secret"); got != names {
			t.Errorf("with names %v: %s", names, out.Bytes())
		}
	}
	if s.HotKeys.Keys[0].Name != "secret" {
		t.Error("the caller's snapshot was changed")
	}
}

func TestZerosAtTheEndAreLeftOut(t *testing.T) {
	counts := []uint64{0, 3, 0, 1, 0, 0}
	s := &Snapshot{Latency: Latency{Classes: []LatencyClass{{Name: "get", Counts: counts}}}}
	var out bytes.Buffer
	if err := s.Write(&out); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), `"counts":[0,3,0,1]`) || !slices.Equal(s.Latency.Classes[0].Counts, counts) {
		t.Errorf("%s", out.Bytes())
	}
}
