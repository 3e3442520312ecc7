@classLabel true walk run
@data
1,2,3:walk
4,5,6:run
1,2,4:walk
4,5,7:run