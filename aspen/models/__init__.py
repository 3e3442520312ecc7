"""Ready-made snnTorch models, their layers and the names of their populations."""

from aspen.models.ready import ConvNet as ConvNet
from aspen.models.ready import DenseNet as DenseNet
from aspen.models.ready import RecurrentNet as RecurrentNet
from aspen.models.surrogates import Triangle as Triangle
