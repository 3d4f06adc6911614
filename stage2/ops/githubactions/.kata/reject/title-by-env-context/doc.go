// The title is put into a variable, and the variable is pasted into the script by ${{ env }}: that is the same as before.
//
//kata:caught-by TestUntrusted
package githubactions
