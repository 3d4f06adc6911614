// The release may write to the repository, for a step that was removed long ago.
//
//kata:caught-by TestPermissions
package githubactions
