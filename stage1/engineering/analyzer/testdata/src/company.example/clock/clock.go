package clock

import "time"

const Limit = time.Minute

func Sleep(d time.Duration) {}

func Now() time.Time { return time.Time{} }
