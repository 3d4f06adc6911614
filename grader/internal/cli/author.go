package cli

import "github.com/spf13/cobra"

// authorCommands are for those who write katas.
func authorCommands(f *Factory) []*cobra.Command {
	return []*cobra.Command{NewCmdVerify(f, nil), NewCmdNew(f, nil), NewCmdDeps(f, nil)}
}
