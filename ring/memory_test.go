package ring

import "testing"

// TestMapSparing: memory is had as long as what is to be left for others would be, too.
func TestMapSparing(t *testing.T) {
	mem, err := MapSparing(1<<20, 16<<20)
	if err != nil {
		t.Fatal(err)
	}
	if len(mem) != 1<<20 {
		t.Errorf("%d bytes", len(mem))
	}
	mem[len(mem)-1] = 1
	if err := Unmap(mem); err != nil {
		t.Error(err)
	}
	const most = 1 << 47 // no process has as much address space
	if _, err := MapSparing(1<<20, most); err == nil {
		t.Error("memory was had that others need")
	}
}
