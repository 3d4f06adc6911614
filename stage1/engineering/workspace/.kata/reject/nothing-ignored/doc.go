// Leaves the Go file of the npm package in ./..., where it breaks every command.
//
//kata:caught-by TestIgnore TestAlone
package workspace
