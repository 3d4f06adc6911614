// The user has a name only: with runAsNonRoot the kubelet refuses to start it, as it cannot tell that the name is not root.
//
//kata:caught-by TestNotRoot
package dockerfile
