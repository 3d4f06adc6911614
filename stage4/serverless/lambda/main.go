// Command lambda is an AWS Lambda function that books the orders of an SQS queue in a ledger.
package main

import "time"

const (
	// margin is how long before the invocation's deadline the last booking is given up.
	margin = 500 * time.Millisecond
	// flushMargin is how long before the deadline the metrics are given up.
	flushMargin = 250 * time.Millisecond
	// concurrency is how many bookings are under way at the same time, at most.
	concurrency = 8
)

func main() {
	panic("TODO: fetch the rates from the ledger at $LEDGER, and start the handler with lambda.Start")
}
