package clock

import "time"

func Sleep(d time.Duration) {}

func Now() time.Time { return time.Time{} }
