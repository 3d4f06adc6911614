// The paths of actions are taken to begin where those of scripts do: working-directory is for scripts only.
//
//kata:caught-by TestRelease
package githubactions
