// A job that lists permissions has no others: the release may sign, and not fetch the sources.
//
//kata:caught-by TestPermissions
package githubactions
