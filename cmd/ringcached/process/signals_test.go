package process

import "testing"

// TestGivenUp: items that have been saved, or that the next server has, are not said to be lost.
func TestGivenUp(t *testing.T) {
	for at, want := range map[Stage]string{
		StageNoItems: "", StageHandingOver: "the new server, which has the items, has not ended",
		StageServing: "the items are lost: they were not saved", StageSaving: "the items are lost: they were not saved",
	} {
		s := new(Stopper)
		s.Enter(at, nil)
		if got := s.givenUp(); got != want {
			t.Errorf("%q: %q, want %q", at, got, want)
		}
	}
}
