"""MoPPS: questions near a target difficulty by a posterior of each one's success rate (arXiv 2507.04632).

With the success rates of two reference models in the data it is BOTS's interpolating form (arXiv 2510.26374).
"""
