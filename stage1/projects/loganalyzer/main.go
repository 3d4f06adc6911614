// Command loganalyzer answers questions about access logs: how many, which most often, how slow.
package main

import (
	"os"

	"github.com/spf13/cobra"
)

func main() {
	if err := newRoot().Execute(); err != nil {
		os.Exit(2)
	}
}

// newRoot builds the command line. All commands read the FILEs, or stdin where there is none or for "-".
func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "loganalyzer",
		Short: "Answers questions about access logs",
	}
	root.AddCommand(
		&cobra.Command{
			Use:   "parse [FILE…]",
			Short: "Prints each good line as a JSON object", // step 1
			Run:   func(*cobra.Command, []string) { panic("TODO: parse") },
		},
		&cobra.Command{
			Use:   "count [FILE…]",
			Short: "Counts lines and bytes by class of status", // step 2
			Run:   func(*cobra.Command, []string) { panic("TODO: count") },
		},
		&cobra.Command{
			Use:   "top [FILE…]", // with --by and -k
			Short: "Lists the most frequent values",
			Run:   func(*cobra.Command, []string) { panic("TODO: top") },
		},
		&cobra.Command{
			Use:   "latency [FILE…]",                                // with -p
			Short: "Estimates percentiles of the durations, to 1 %", // step 3
			Run:   func(*cobra.Command, []string) { panic("TODO: latency") },
		},
		&cobra.Command{
			Use:   "follow FILE",                                                              // with --poll
			Short: "Prints each good line as a JSON object, as the file grows and is rotated", // step 4
			Run:   func(*cobra.Command, []string) { panic("TODO: follow") },
		},
	)
	return root
}
