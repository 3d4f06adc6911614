// All ARGs stand at the top of the stage, tidily: each new VERSION downloads the modules again.
//
//kata:caught-by TestDependenciesCached
package dockerfile
