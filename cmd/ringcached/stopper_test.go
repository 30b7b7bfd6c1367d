package main

import "testing"

func TestGivenUp(t *testing.T) {
	for at, want := range map[stage]string{
		stageEmpty: "", stageGiving: "the new server, which has the items, has not ended",
		stageServe: "the items are lost: they were not saved", stageSave: "the items are lost: they were not saved",
	} {
		s := new(stopper)
		s.enter(at, nil)
		if got := s.givenUp(); got != want {
			t.Errorf("%q: %q, want %q", at, got, want)
		}
	}
}
