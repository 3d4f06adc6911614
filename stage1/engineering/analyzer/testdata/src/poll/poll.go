package poll

import "time"

func Until(done func() bool) { // want Until:"sleeps"
	for !done() {
		pause()
	}
}

func pause() { // want pause:"sleeps"
	time.Sleep(time.Second)
}

func Age(t time.Time) time.Duration { return time.Since(t) }
