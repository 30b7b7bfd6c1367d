package store

import "sync/atomic"

// adaptation is how strict the probation of a class is, which follows from what comes back of what was evicted. An item that is evicted after its
// probation and one that the hand evicts are two ways to the same room. If clearly more of the first come back soon, then what is settled is
// stale, as when popularity has moved, and a part of those that nobody used on probation is settled instead: with all of them it would be CLOCK.
// It is a choice between two experts by what each regrets, as in LeCaR (Vietri and others, HotStorage 2018); docs/eviction.md has what it gains.
//
// It is guarded by the class's lock, but for keys, shift and soon, which noteReturn reads without.
type adaptation struct {
	keys  evictedKeys
	shift atomic.Uint32 // one key of 1<<shift counts
	soon  atomic.Uint32 // evictions within which a key comes back soon

	evicted  [choosers]float64 // keys that count, by who chose them; they fade
	returned [choosers]float64 // of them, those that came back soon
	since    uint32            // evictions since the last adapt

	kept   uint32 // of keptAll items that nobody used on probation, how many are settled
	credit uint32 // sum of kept, without what has been settled for it

	uses int32 // recency count of those that were used on probation, at its end, on the average of the last few hundred, times 1<<usesFine
}

// chooser is who chose an item that was evicted.
type chooser int

const (
	afterProbation chooser = iota
	byHand
	choosers
)

const (
	adaptEvery  = 16  // adapt is called when one in this many items of a class was evicted
	adaptSoon   = 10  // as many evictions as one in this many items are soon
	adaptSample = 512 // keys at most that represent as many evictions as are soon
	adaptFade   = 0.9 // of the counts, what is left each time

	keptAll    = 1 << 10
	keptMost   = keptAll * 9 / 10 // the rest shows what comes back
	keptStep   = keptAll / 5      // at most, each time
	keptFactor = 1.5              // how many times as many have to come back after probation as after the hand,
	keptLeast  = 0.01             // and this part of them on top
	fewKeys    = 32               // keys evicted by the hand tell little: as many are added that come back as those after probation do

	usesFine = 16
	usesFade = 8                              // binary logarithm of how many uses is the mean of
	usesMany = recencyMax << usesFine * 3 / 4 // from here on they are kept,
	usesSome = recencyMax << usesFine / 2     // and from here on new items may be all that counts
)

// noteEviction notes that the key with the hash was evicted. The class must be locked, here and below.
func (a *adaptation) noteEviction(c *class, hash uint64, by chooser) {
	if c.items < probationLeast {
		return
	}
	if a.keys.note(hash, a.shift.Load(), uint32(by)*evictedMark) {
		a.evicted[by]++
	}
	if a.since++; uint64(a.since) >= c.items/adaptEvery {
		a.adapt(uint32(c.items))
	}
}

// noteReturn looks whether a key that is new in the class was evicted lately. The class must not be locked.
func (a *adaptation) noteReturn(c *class, hash uint64) {
	mark, ok := a.keys.take(hash, a.shift.Load(), a.soon.Load())
	if !ok {
		return
	}
	c.lock()
	a.returned[mark/evictedMark]++
	c.unlock()
}

// adapt draws conclusions for a class of items items.
func (a *adaptation) adapt(items uint32) {
	demotion := a.returned[afterProbation] / (a.evicted[afterProbation] + 1)
	hand := (a.returned[byHand] + fewKeys*demotion) / (a.evicted[byHand] + fewKeys)
	least := keptFactor*hand + keptLeast
	step := keptStep * (demotion - least) / (demotion + least)
	a.kept = uint32(min(max(float64(a.kept)+step, 0), keptMost))
	for by := range choosers {
		a.evicted[by] *= adaptFade
		a.returned[by] *= adaptFade
	}
	a.since = 0
	a.soon.Store(items / adaptSoon)
	a.shift.Store(sampleShift(items/adaptSoon, adaptSample))
}

// keeps reports whether the next item that nobody used on probation is to be settled.
func (a *adaptation) keeps() bool {
	a.credit += a.kept
	if a.credit < keptAll {
		return false
	}
	a.credit -= keptAll
	return true
}

// settles says which bits an item with the state loses when it is settled: its uses too, unless most of those that are used on probation are used
// many times. A few uses in the first moments are often all that there are, as when a program reads a block several times, and would keep the
// item for as many rounds of the hand; but where what is new is the most popular, they tell how popular.
func (a *adaptation) settles(state uint32) uint32 {
	if uses := int32(state & recencyMax << usesFine); uses != 0 {
		a.uses += (uses - a.uses) >> usesFade
	}
	if a.uses >= usesMany {
		return stateProbation
	}
	return stateProbation | recencyMax
}

// recencyCounts reports whether only recency counts, as in what a disk is asked for: much is kept that nobody used on probation, and what is used
// there is used many times, so that what was used last is used next. A count of uses keeps what is stale then, and the hand spares an item once
// only, however often it was used. Where what is new is used once or twice, as in bursts that are over soon, the count is right.
func (a *adaptation) recencyCounts() bool { return a.kept >= keptAll/2 && a.uses >= usesSome }
