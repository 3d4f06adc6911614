// Builds in the workspace, where the store is the newest; everybody else gets the required v1.3.0, which has no Find.
//
//kata:caught-by TestAlone
package workspace
