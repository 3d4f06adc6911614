// The release needs a job that is skipped on tags, and is skipped with it.
//
//kata:caught-by TestRelease
package githubactions
