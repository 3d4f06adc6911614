// Nothing is said of permissions but for the release: the other jobs get what the settings of the repository give.
//
//kata:caught-by TestPermissions
package githubactions
