package com.playsmart.gateway

import android.content.Context
import android.os.SystemClock
import androidx.lifecycle.DefaultLifecycleObserver
import androidx.lifecycle.LifecycleOwner
import androidx.lifecycle.ProcessLifecycleOwner
import androidx.work.Constraints
import androidx.work.ExistingWorkPolicy
import androidx.work.NetworkType
import androidx.work.OneTimeWorkRequest
import androidx.work.WorkManager
import androidx.work.Worker
import androidx.work.WorkerParameters
import java.io.File

/** The client in an app for Android: where it keeps its files, and when the game leaves the front. */
object PlaySmart {
    /** The client of this process, once it is started. */
    @Volatile
    @JvmStatic
    var client: PlaySmartClient? = null
        private set

    /**
     * Makes the client, on the main thread; another call returns the same. It belongs into
     * `Application.onCreate`, as Android may start the process for the upload alone.
     */
    @JvmStatic
    fun start(
        context: Context,
        url: String,
        userId: String,
        gameId: String,
        tokens: PlaySmartClient.Tokens,
    ): PlaySmartClient {
        client?.let { return it }
        val app = context.applicationContext
        val options = PlaySmartClient.Options()
        options.platform = "android"
        options.appVersion = app.packageManager.getPackageInfo(app.packageName, 0).versionName ?: ""
        options.clock = AwakeClock
        val folder = File(app.noBackupFilesDir, "playsmart") // a run must not come back from a backup
        val started = PlaySmartClient(url, folder, userId, gameId, tokens, options)
        client = started
        ProcessLifecycleOwner.get().lifecycle.addObserver(
            object : DefaultLifecycleObserver {
                override fun onStop(owner: LifecycleOwner) {
                    started.background()
                    uploadOnceThereIsANetwork(app)
                }
            },
        )
        return started
    }

    private fun uploadOnceThereIsANetwork(app: Context) {
        val constraints = Constraints.Builder().setRequiredNetworkType(NetworkType.CONNECTED).build()
        val job = OneTimeWorkRequest.Builder(Upload::class.java).setConstraints(constraints).build()
        WorkManager.getInstance(app).enqueueUniqueWork("playsmart", ExistingWorkPolicy.KEEP, job)
    }

    /** Goes on while the phone sleeps, which `System.nanoTime` does not. */
    private object AwakeClock : PlaySmartClient.Clock() {
        override fun monotonic(): Long = SystemClock.elapsedRealtime()
    }

    /** Sends what waits; what it cannot send waits for the next start of the game. */
    class Upload(context: Context, parameters: WorkerParameters) : Worker(context, parameters) {
        override fun doWork(): Result {
            client?.flush()
            return Result.success()
        }
    }
}
