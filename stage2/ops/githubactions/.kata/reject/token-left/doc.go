// checkout leaves the token on the disk, where the tests of a stranger can read it.
//
//kata:caught-by TestPermissions
package githubactions
