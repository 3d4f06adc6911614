// The title is pasted into the script: whoever writes it writes a part of the script.
//
//kata:caught-by TestUntrusted
package githubactions
