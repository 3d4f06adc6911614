package polltest

import (
	"company.example/clock"
	"poll"
	"time"
)

func Eventually(done func() bool) bool { // want Eventually:"sleeps"
	start := time.Now() // want `time\.Now`
	poll.Until(done)    // want `poll\.Until`
	time.Sleep(1)       // want `time\.Sleep`
	return poll.Age(start) < clock.Limit
}
