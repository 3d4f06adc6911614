// Minutes on macOS are dear, so the older Go is not tested there.
//
//kata:caught-by TestRace
package githubactions
